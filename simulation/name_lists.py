"""Names as data, most frequent first. Written for this project from general knowledge of US names.

Order stands for frequency (`names.weights`). Every name is Latin-1, so that each agency can write it.
"""

from __future__ import annotations

#: widespread in the United States, among White and Black families alike
_COMMON = """
Smith Johnson Williams Brown Jones Miller Davis Wilson Anderson Taylor Thomas Moore Jackson Martin Lee
Thompson White Harris Clark Lewis Robinson Walker Young Allen King Wright Scott Hill Green Adams Baker
Nelson Hall Campbell Mitchell Carter Roberts Phillips Evans Turner Parker Collins Edwards Stewart Morris
Murphy Cook Rogers Morgan Peterson Cooper Reed Bailey Kelly Howard Ward Cox Richardson Watson Brooks Wood
James Bennett Gray Hughes Price Myers Long Foster Sanders Ross Powell Sullivan Russell Jenkins Perry
Butler Barnes Fisher Henderson Coleman Simmons Patterson Jordan Reynolds Hamilton Graham Wallace West
Cole Hayes Bryant Gibson Ellis Stevens Murray Ford Marshall Owens McDonald Harrison Kennedy Wells Woods
Henry Webb Tucker Burns Freeman Porter Hunter Hicks Crawford Boyd Mason Kennard Warren Dixon Hunt Gordon
Shaw Robertson Holmes Rice Black Daniels Palmer Mills Nichols Grant Knight Ferguson Rose Stone Dunn
Hawkins Perkins Hudson Spencer Gardner Stephens Payne Pierce Berry Matthews Arnold Willis Ray Watkins
Olson Carroll Duncan Snyder Hart Cunningham Bradley Lane Andrews Harper Fox Riley Armstrong Carpenter
Weaver Greene Lawrence Elliott Sims Austin Peters Kelley Franklin Lawson Fields Ryan Schmidt Carr Wheeler
Chapman Oliver Montgomery Richards Williamson Johnston Banks Meyer Bishop McCoy Howell Morrison Hansen
Garrett Harvey Little Burton Stanley George Jacobs Reid Fuller Lynch Dean Gilbert Larson Frazier Burke
Hanson Day Moreland Bowman Brewer Welch Fowler Hopkins Curtis Lambert Barnett Jennings Mullins Barker
Byrd Horton Steele Leonard Bates Holland Sutton Rhodes Newman Lowe Parks Caldwell Craig Chambers Neal
Norris Baldwin Walton Terry Barber Potter Hale Norton Hodges Goodwin Walters Manning Webster Reeves
Hampton Poole Bowen Wade Glover Park Blair Farmer Marsh Ball Osborne Drake Logan Haynes Pratt Cross
Hubbard Floyd Erickson Moss Doyle Mann Hines Newton Owen Gibbs Sherman Mack Parsons Daniel Wolfe Tate
Shelton Thornton Simpson Flowers Chandler Cannon Norman Hogan Blake Cobb Goodman Stokes Strickland
Saunders Underwood Conner Quinn Bass Cain Love Hoover Clarke Greer Lucas Wise Page Watts Bush Benson
Roy Davidson Ingram Maxwell Swanson Todd Warner Rowe Bowers Clayton Nash Harmon Cohen Lyons Christensen
Pope Brady French Massey Casey Wilkins Gill Grimes Wilcox Abbott Nichol Bond Barton Stephenson Sharp
Briggs Harding Wiggins Kirk Vaughn Hardy Francis Pearson Beck Moody Cooke Hendricks Boone Roach Mercer
Collier Sheppard Copeland Solomon Short Hancock Wyatt Bartlett Dalton Ramsey Bridges Cummings Atkins
Callahan Malone Buckley Frost Hull Orr Savage Whitaker York Sloan Lamb Waters Shields Dillard Nixon Kane
Skinner Garner Kerr Pruitt Ashley Preston Barron Lester Gentry Stout Case Livingston Kirby Leach Merritt
Dickson Avery Bray Snow Rush Peck Stark Mosley Benton Tyler Barry Morse Pittman Hester Combs Keller
Conley Michael Paul Travis Wolf English Foley Alford Summers Dyer Ballard Woodward Daugherty Velez Kidd
Vance Mathis Small Rollins Everett Langley Elmore Landry Holt Finley Noble Shaffer Dorsey Cash Melton
Sparks Hebert Barrett Kemp Guthrie Hooper Fitch Hurley Golden Bruce Dudley Childs Faulkner Sears Duffy
Stafford Weeks Hensley Wilder Hahn Joyner Cantrell Wynn Bradford Starr Lancaster Pollard Houston Church
Singleton Crane Fry Hobbs Macdonald Whitehead Downs Lindsay Akers Monroe Blackwell Petty Meadows Glass
"""
#: European names of upstate New York: Dutch, Irish, Italian, Polish, German, French
_EUROPEAN = """
O'Brien O'Connor O'Neil Van_Buren Schuyler Ten_Eyck Van_Rensselaer Van_Dyke Van_Alstyne Vandenburg
DeWitt Staats Vrooman Bleecker Lansing Van_Schaick Van_Ness Van_Allen Hallenbeck Vosburgh Brandow
Coeymans Pruyn Visscher Yates Bronck Houghtaling Hotaling McCarthy McNamara McGrath McMahon McGuire
Fitzgerald Fitzpatrick Flanagan Flynn Gallagher Donovan Dolan Donnelly Dwyer Egan Fahey Farrell Finnegan
Gorman Hanley Hanlon Healy Higgins Kearney Keegan Keenan Kiernan Leary Maloney McCabe McCormick McHugh
McKenna McLaughlin Mulligan Nolan O'Donnell O'Hara O'Keefe O'Leary O'Malley O'Reilly O'Rourke O'Shea
O'Sullivan O'Toole Quigley Rafferty Regan Rooney Shea Sheehan Tierney Tobin Toomey Whalen Connolly
Corrigan Costello Cronin Delaney Devine Dempsey Rossi Russo Esposito Romano Colombo Ricci Marino Greco
Bruno Gallo Conti DeLuca Mancini Costa Giordano Rizzo Lombardi Moretti Barbieri Fontana Santoro Mariani
Rinaldi Caruso Ferrara Galli Martini Leone Longo Gentile Martinelli Vitale Lombardo Serra Coppola DeSantis
D'Angelo D'Amico Marchetti Parisi Villa Conte Ferraro Fabbri Bianco Marini Grassi Valentini Messina
Sala DeAngelis Gatti Pellegrini Palumbo Sanna Farina Rizzi Monti Cattaneo Morelli Amato Silvestri Mazza
Testa Grasso Pellegrino Carbone Giuliani Benedetti Barone DiPaolo DeMarco Mastroianni Fusco Guarino
Nowak Kowalski Wisniewski Wojcik Kowalczyk Kaminski Lewandowski Zielinski Szymanski Wozniak Dabrowski
Kozlowski Jankowski Mazur Kwiatkowski Krawczyk Piotrowski Grabowski Zajac Pawlowski Michalski Krol
Wieczorek Jablonski Wrobel Majewski Olszewski Stepien Malinowski Jaworski Adamczyk Dudek Nowicki Pawlak
Gorski Witkowski Walczak Sikora Baran Rutkowski Michalak Szewczyk Ostrowski Tomaszewski Pietrzak Zalewski
Mueller Müller Schneider Fischer Weber Wagner Becker Schulz Hoffmann Hoffman Schäfer Koch Bauer Richter
Klein Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt Werner Krause Meier
Lehmann Schmid Schulze Maier Köhler Herrmann König Walter Mayer Huber Kaiser Fuchs Lang Scholz Möller
Weiss Jung Vogel Schubert Winkler Berger Lorenz Baumann Franke Albrecht Schuster Simon Ludwig Böhm
Winter Kraus Schumacher Krämer Vogt Stein Jäger Otto Sommer Gross Seidel Heinrich Brandt Haas Schreiber
Graf Dietrich Ziegler Kuhn Kühn Pohl Engel Horn Busch Bergmann Tremblay Gagnon Roy Côté Bouchard Gauthier
Morin Lavoie Fortin Gagné Ouellet Pelletier Bélanger Lévesque Bergeron Leblanc Paquette Girard Boucher
Caron Beaulieu Cloutier Dubé Poirier Fournier Lapointe Leclerc Lefebvre Poulin Thibault St._Pierre Nadeau
Martel Hébert Desjardins Grenier Lachance Dupuis Deschamps Petrov Ivanov Popov Volkov Sokolov Novak
Horvath Kovacs Nagy Szabo Toth Varga Nielsen Jensen Pedersen Andersen Larsen Sorensen Rasmussen
Lindberg Lindqvist Bergström Nyström Åberg Söderberg Papadopoulos Pappas Georgiou Dimitriou Costas
"""
_AFRICAN_AMERICAN = """
Washington Jefferson Booker Banks Gaines Mosley Jackson Joseph Charles Hairston Pettway Bolden Smalls
Whitfield Braxton Broadnax Tillman Gadsden Cuffee Fountain Prioleau Ravenell Manigault Wigfall McClain
Muhammad Baptiste Pierre Toussaint Desir Jean Jean-Baptiste Saint-Louis Beauvais Dorvil Okafor Okeke
Adeyemi Mensah Boateng Owusu Asante Diallo Traore Kamara Sesay Bangura Conteh Koroma Abdi Hassan Mohamed
Osman Warsame Ndiaye Diop Fofana Bah Barry Sow Camara Cissé Touré Koné Coulibaly Eze Nwosu Obi Achebe
Balogun Ogunleye Olawale Afolabi Bello Danjuma Grandberry Roundtree Battle Bynum Cheeks Crockett Dantzler
Dupree Easley Felder Funderburk Gatling Goins Grier Gullatte Hightower Holloway Ivey Jeter Kinsey Ledbetter
Lockett McFadden McKnight McNair Merriweather Moultrie Outlaw Peeples Pinckney Pinkney Purnell Rainey
Rembert Rucker Scruggs Sharpe Spivey Stallworth Stovall Swain Talley Vereen Witherspoon Wooten Yarborough
"""
_HISPANIC = """
García Rodríguez Martínez Hernández López González Pérez Sánchez Ramírez Torres Flores Rivera Gómez Díaz
Reyes Morales Cruz Ortiz Gutiérrez Chávez Ramos Ruiz Álvarez Mendoza Vásquez Castillo Jiménez Moreno
Romero Herrera Medina Aguilar Garza Castro Vargas Fernández Guzmán Muñoz Méndez Salazar Soto Delgado
Peña Ríos Alvarado Sandoval Contreras Valdez Guerrero Ortega Estrada Núñez Maldonado Vega Santiago
Espinoza Silva Padilla Márquez Cortez Rojas Acosta Figueroa Luna Juárez Navarro Campos Molina Ayala
Carrillo Cabrera Lara Robles Cervantes Solís Fuentes Ochoa Cárdenas Orozco Miranda Trujillo Rosario
Velázquez Santos Colón Serrano Valencia Burgos Escobar Zamora Macías Pacheco Villarreal Montoya Nieves
Rosado Rosas Ibarra Barrera Arroyo Franco Bautista Lozano Camacho Cisneros Quintero Villanueva Meléndez
Suárez Salinas Gallegos Mejía Vázquez Pagán Matos Báez Tapia Arias Cordero Crespo Cintrón Feliciano
Quiñones Vélez Maldonado Negrón Otero Irizarry Lugo Marrero Alicea Bonilla Berríos Caraballo Concepción
De_Jesús De_León De_La_Cruz Del_Valle De_La_Rosa Echevarría Fonseca Galarza Hidalgo Izquierdo Jaramillo
Lebrón Mercado Morel Ojeda Pabón Polanco Quiroz Rentería Rincón Robledo Saldaña Sepúlveda Tejada Toro
Ureña Valentín Vergara Villegas Ybarra Zayas Zúñiga Almonte Abreu Ventura Peralta Paulino Guerra Leyva
Palacios Pineda Portillo Rangel Sierra Tirado Villalobos Zavala Cuevas Duarte Escalante Enríquez Gallardo
"""
_ASIAN = """
Nguyen Lee Kim Patel Tran Chen Wong Le Yang Wang Chang Chan Pham Li Park Singh Lin Liu Khan Huang Wu
Zhang Shah Huynh Yu Choi Ho Kaur Vang Chung Xiong Phan Lam Vu Truong Cheng Lo Bui Dang Ngo Zhao Do Hong
Jung Ali Ahmed Cho Han Hu Kang Lai Lau Leung Lim Lu Ma Moua Ng Oh Paw Htoo Wah Eh Say Moo Thao Yee Yi
Yoon Zheng Zhou Sun Xu Zhu He Guo Gao Luo Liang Song Tang Deng Cao Peng Fang Jiang Shen Su Tsai Hsu
Reddy Rao Sharma Gupta Kumar Desai Mehta Joshi Nair Iyer Menon Das Ghosh Banerjee Mukherjee Chaudhary
Rahman Islam Hossain Chowdhury Begum Akhter Uddin Malik Siddiqui Qureshi Hussain Sheikh Gurung Rai Tamang
Magar Thapa Shrestha Adhikari Dela_Cruz Santos Reyes Bautista Ocampo Villanueva Tolentino Manalo Tanaka
Suzuki Sato Yamamoto Watanabe Nakamura Kobayashi Ito Saito Kato Sok Chea Keo Sim Chhay Souvannavong
"""
_MENA = """
Ahmad Hassan Ali Hussein Khalil Ibrahim Mansour Nasser Saleh Haddad Khoury Sayegh Najjar Aziz Farah
Abdullah Mohammed Hamdan Karim Rahimi Hosseini Ahmadi Karimi Mohammadi Rezaei Jafari Shah Habibi Azizi
Said Othman Qasim Salem Shaheen Awad Barakat Bishara Daoud Elias Fakhoury Ghanem Issa Jaber Kassab Maalouf
Nassar Obeid Qureshi Rashid Sabbagh Taha Yousef Zayed Al-Sayed Al-Masri Abu-Khalil El-Amin Ben-Haddou Alaoui
"""
#: names of the long tail are a beginning and an end, joined
TAIL_BEGINNINGS = """
Ash Bark Bel Ben Berg Birk Blen Bor Brack Bran Brin Burd Cad Cal Car Chal Chat Clav Col Cor Cran Crel Dar
Del Den Dil Dor Drum Dun Eck El Em Er Fal Far Fen Fin Fol Fren Gal Gar Gil Glen Gor Gran Gul Had Hal Har
Hel Hin Hol Hun Ing Ker Kil Kin Kol Kor Kran Lan Lar Leb Lin Lock Lor Mac Mal Mar Mel Mil Mon Mor Nar Nel
Nor Oak Or Pal Par Pel Pen Pol Pran Quin Rad Ram Red Ren Rock Ros Ruth Sal San Scar Sel Sher Sil Stan Sten
Strat Sul Tal Tar Ten Thor Til Tor Tram Tur Ul Val Van Ver Vin Wal War Wel Wes Whit Wil Win Wol Wood Yar Zan
"""
TAIL_ENDS = """
berg bourne brook burn bury by cott croft dale den dorf er ers eski feld ford gate ger ham hart hurst ic
ich ingham ington inski ke kamp kins land ler let ley lin ling lock low man mann mark more ner ness nik
owitz ovich pool rick ridge rose sen shaw ski smith sohn son stad stein stone ter ton tree vale vich ville
ward water way well wick wig wood worth zak
"""

#: by sex and decade of birth, most frequent first
FIRST_NAMES = {
    ("M", 1940): """
James Robert John William Richard David Charles Thomas Michael Ronald Larry Donald Joseph Gary George
Kenneth Paul Edward Jerry Dennis Frank Daniel Raymond Roger Stephen Gerald Walter Harold Douglas
Lawrence Terry Wayne Arthur Jack Carl Henry Willie Bruce Joe Peter Billy Roy Ralph Anthony Jimmy Albert
Bobby Eugene Johnny Fred Harry Howard Louis
""",
    ("M", 1950): """
Michael James Robert John David William Richard Thomas Mark Charles Steven Gary Joseph Donald Ronald
Kenneth Paul Larry Daniel Stephen Dennis Timothy Edward Jeffrey George Gregory Kevin Douglas Terry
Anthony Jerry Bruce Randy Frank Brian Scott Roger Raymond Peter Patrick Keith Lawrence Wayne Danny Alan
Gerald Ricky Carl Christopher Dale Craig Johnny Glenn
""",
    ("M", 1960): """
Michael David John James Robert Mark William Richard Thomas Jeffrey Steven Joseph Timothy Kevin Scott
Brian Charles Paul Daniel Christopher Kenneth Anthony Gregory Ronald Donald Gary Stephen Eric Edward
Douglas Todd Patrick George Keith Larry Matthew Terry Andrew Dennis Randy Jerry Peter Frank Craig
Raymond Jeffery Bruce Rodney Mike Roger Tony Ricky Steve Troy
""",
    ("M", 1970): """
Michael Christopher Jason David James John Robert Brian William Matthew Joseph Daniel Kevin Eric Jeffrey
Richard Scott Mark Steven Thomas Timothy Anthony Charles Joshua Ryan Jeremy Paul Andrew Gregory Chad
Kenneth Jonathan Stephen Shawn Aaron Adam Patrick Justin Sean Edward Todd Donald Ronald Benjamin Keith
Bryan Gary Jose Nathan Douglas Brandon Nicholas George Travis
""",
    ("M", 1980): """
Michael Christopher Matthew Joshua David James Daniel Robert John Joseph Jason Justin Andrew Ryan
William Brian Brandon Jonathan Nicholas Anthony Eric Adam Kevin Thomas Steven Timothy Richard Jeremy
Kyle Jeffrey Benjamin Aaron Mark Charles Jacob Stephen Patrick Sean Zachary Nathan Dustin Paul Tyler
Scott Travis Gregory Kenneth Jose Alexander Bryan Jesse Cody Bradley Samuel
""",
    ("M", 1990): """
Michael Christopher Matthew Joshua Jacob Nicholas Andrew Daniel Tyler Joseph Brandon David James Ryan
John Zachary Justin William Anthony Robert Jonathan Austin Alexander Kyle Kevin Thomas Cody Jordan Eric
Benjamin Aaron Christian Samuel Dylan Steven Brian Jose Timothy Nathan Adam Richard Patrick Charles Sean
Caleb Cameron Jeremy Logan Travis Dakota Ethan Trevor Marcus
""",
    ("M", 2000): """
Jacob Michael Joshua Matthew Daniel Christopher Andrew Ethan Joseph William Anthony David Alexander
Nicholas Ryan Tyler James John Jonathan Noah Brandon Christian Dylan Samuel Benjamin Zachary Nathan
Logan Justin Gabriel Jose Austin Kevin Elijah Caleb Robert Thomas Jordan Cameron Jack Hunter Jackson
Angel Isaiah Evan Isaac Mason Luke Jason Gavin Jayden Aaron Connor Aiden
""",
    ("F", 1940): """
Mary Linda Barbara Patricia Carol Sandra Nancy Sharon Judith Susan Betty Carolyn Margaret Shirley Judy
Karen Donna Kathleen Joyce Dorothy Janet Diane Janice Joan Elizabeth Brenda Gloria Virginia Marilyn
Martha Beverly Helen Bonnie Ruth Frances Jean Ann Phyllis Pamela Jane Alice Peggy Cheryl Doris Catherine
Elaine Cynthia Marie Ellen Gail Rose Rita
""",
    ("F", 1950): """
Mary Linda Patricia Susan Deborah Barbara Debra Karen Nancy Donna Cynthia Sandra Pamela Sharon Kathleen
Carol Diane Brenda Cheryl Janet Elizabeth Kathy Margaret Janice Carolyn Denise Judy Rebecca Joyce Teresa
Christine Catherine Shirley Judith Betty Beverly Lisa Dorothy Theresa Connie Ann Gloria Julie Gail Joan
Paula Peggy Cindy Martha Bonnie Jane Cathy Robin Debbie Diana
""",
    ("F", 1960): """
Lisa Mary Susan Karen Kimberly Patricia Linda Donna Michelle Cynthia Sandra Deborah Tammy Pamela Lori
Laura Elizabeth Julie Brenda Jennifer Barbara Angela Sharon Debra Teresa Nancy Christine Cheryl Denise
Kelly Tina Kathleen Sherry Amy Robin Dawn Carol Diane Tracy Kathy Rebecca Theresa Kim Rhonda Stephanie
Cindy Janet Wendy Maria Michele Jacqueline Debbie Margaret Paula
""",
    ("F", 1970): """
Jennifer Amy Melissa Michelle Kimberly Lisa Angela Heather Stephanie Nicole Jessica Elizabeth Rebecca
Kelly Mary Christina Amanda Julie Sarah Laura Shannon Christine Tammy Tracy Karen Dawn Susan Andrea Tina
Patricia Cynthia Lori Rachel April Maria Wendy Crystal Stacy Erin Jamie Carrie Tiffany Tara Sandra
Monica Danielle Stacey Pamela Tonya Sara Michele Teresa Denise Jill
""",
    ("F", 1980): """
Jessica Jennifer Amanda Ashley Sarah Stephanie Melissa Nicole Elizabeth Heather Tiffany Michelle Amber
Megan Amy Rachel Kimberly Christina Lauren Crystal Brittany Rebecca Laura Danielle Emily Samantha Angela
Erin Kelly Sara Lisa Katherine Andrea Jamie Mary Erica Courtney Kristen Shannon April Katie Lindsey
Kristin Lindsay Christine Alicia Vanessa Maria Kathryn Allison Julie Anna Tara Natalie
""",
    ("F", 1990): """
Jessica Ashley Emily Sarah Samantha Amanda Brittany Elizabeth Taylor Megan Hannah Kayla Lauren Stephanie
Rachel Jennifer Nicole Alexis Victoria Amber Alyssa Courtney Rebecca Danielle Jasmine Brianna Katherine
Alexandra Madison Morgan Melissa Michelle Kelsey Chelsea Anna Kimberly Tiffany Olivia Mary Christina
Allison Abigail Sara Shelby Heather Haley Maria Kaitlyn Laura Erin Natalie Jordan Brooke
""",
    ("F", 2000): """
Emily Madison Emma Olivia Hannah Abigail Isabella Samantha Elizabeth Ashley Alexis Sarah Sophia Alyssa
Grace Ava Taylor Brianna Lauren Chloe Natalie Kayla Jessica Anna Victoria Mia Hailey Sydney Jasmine
Julia Morgan Destiny Rachel Ella Kaitlyn Megan Katherine Savannah Jennifer Alexandra Allison Haley Maria
Kaylee Lily Makayla Brooke Mackenzie Nicole Addison Stephanie Lillian Andrea Zoe
""",
}
#: less frequent names of all decades
FIRST_NAMES_ANY = {
    "M": """
Leonard Melvin Leroy Clarence Vincent Philip Russell Victor Stanley Alfred Norman Marvin Leon Chester
Earl Bernard Vernon Clifford Francis Lloyd Leslie Herbert Theodore Alvin Ernest Gordon Dean Duane Curtis
Joel Allen Barry Brent Darren Derek Duncan Edwin Felix Garrett Glen Grant Gregg Guy Harvey Hugh Ian Ivan
Jared Jay Jerome Julian Karl Kirk Kurt Lance Lee Lewis Lonnie Luke Lyle Malcolm Marc Martin Maurice Max
Micah Mitchell Neil Nelson Oliver Oscar Perry Phillip Preston Quentin Randall Reginald Rex Rick Ross
Ruben Rudolph Rufus Sam Seth Shane Simon Spencer Stuart Ted Toby Tracy Trent Tristan Tyrone Vance Wade
Warren Wesley Wyatt Xavier Zane Casey Clayton Colin Damon Dominic Drew Dwight Emmett Ezra Floyd Forrest
Gene Geoffrey Graham Heath Homer Irving Jasper Jonah Kent Lester Levi Lionel Lucas Mario Milton Morris
Myron Ned Nolan Otis Owen Percy Roderick Roland Sheldon Sidney Silas Sylvester Thaddeus Virgil Wallace
Wilbur Willard
""",
    "F": """
Adele Agnes Alexa Alma Amelia Anita Annette Antoinette Ariana Audrey Beatrice Becky Belinda Bernice
Bertha Beth Bethany Bianca Blanche Bridget Caitlin Camille Candace Cara Carla Carly Caroline Cassandra
Cecilia Celeste Charlene Charlotte Claire Clara Claudia Colleen Corinne Daisy Daphne Darlene Delia
Delores Desiree Dolores Edith Edna Eileen Eleanor Elena Elise Ella Elsie Erika Esther Ethel Eunice Eva
Evelyn Faith Felicia Florence Gabrielle Genevieve Georgia Geraldine Gina Gretchen Gwendolyn Harriet
Hazel Holly Hope Ida Irene Iris Isabel Ivy Jacquelyn Jade Jeanette Jeanne Jenna Jillian Joann Joanna
Jocelyn Johanna Jolene Josephine Joy Juanita June Kara Kendra Kristina Krystal Leah Leslie Lillian
Loretta Lorraine Louise Lucille Lucy Lydia Lynn Mabel Marcia Margie Marian Marissa Marjorie Marlene
Maureen Maxine Melanie Melinda Mildred Miranda Miriam Molly Monique Nadine Naomi Natasha Nina Noel Norma
Paige Pauline Penelope Phoebe Priscilla Ramona Regina Renee Roberta Rosalie Roxanne Ruby Sabrina Sally
Sheila Shelly Sonia Sophie Stella Sylvia Thelma Tamara Tanya Valerie Vera Veronica Vivian Wanda Yolanda
Yvonne
""",
}
_AA_FIRST = {
    "M": """
Malik Jamal Darnell Tyrone DeAndre Terrell Lamar Marquis Andre Kareem Rasheed Jermaine Demetrius Cedric
Reginald Marcus Isaiah Xavier Tyrell Jaquan Kendrick Darius Trevon Jalen Devonte DeShawn Antwan Rodney
Clarence Cornell Deion Dominique Elijah Hakeem Jabari Javon Khalil LeBron Lamont Maurice Omari Quincy
Raheem Roosevelt Shaquille Tremaine Tyree Vernon Winston Za'quan
""",
    "F": """
Latoya Keisha Tamika Ebony Shanice Aaliyah Imani Latasha Nia Kiara Tanisha Monique Jada Lakeisha
Shaniqua Tyra Yolanda Precious Destiny Diamond Raven Kenya Aisha Amari Ayanna Candice Chanel D'Asia Deja
Essence Fatima Gwendolyn India Janiya Kimora Latrice Makayla Nakia Octavia Porsha Quiana Rashida
Shanelle Shante Tamara Tatiana Tiana Unique Yvette Zaria
""",
}
_HISPANIC_FIRST = {
    "M": """
José Luis Carlos Juan Miguel Jesús Ángel Jorge Francisco Víctor Manuel Antonio Rafael Alejandro Roberto
Pedro Eduardo Fernando Ricardo Héctor Javier Ramón Raúl Sergio Mario Julio Edwin Ángelo Andrés Diego
Enrique Ernesto Esteban Gabriel Gilberto Guillermo Gustavo Ignacio Ismael Iván Jaime Joaquín Josué
Leonel Lorenzo Marcos Martín Mateo Nelson Néstor Óscar Pablo Ramiro Rolando Rubén Salvador Santiago
Tomás Wilfredo
""",
    "F": """
María Carmen Ana Rosa Luz Jessica Yesenia Maribel Marisol Elizabeth Daniela Gabriela Alejandra Valeria
Sofía Isabella Camila Adriana Alicia Beatriz Blanca Carolina Catalina Cecilia Claudia Cristina Diana
Dolores Elena Esmeralda Esperanza Gloria Guadalupe Iris Ivelisse Jacqueline Josefina Juana Julia Leticia
Lourdes Lucía Magdalena Margarita Mercedes Milagros Mónica Nancy Nilda Norma Patricia Paola Raquel Rocío
Sonia Teresa Verónica Wanda Xiomara Yolanda Zoraida
""",
}
_ASIAN_FIRST = {
    "M": """
Wei Jun Hao Ming Minh Tuan Anh Duc Hung Khanh Long Nam Quang Son Thanh Jin Sung Young Ji-hoon Hyun Raj
Amit Anil Arjun Deepak Kiran Rahul Ravi Rohan Sanjay Suresh Vijay Vikram Mohammad Imran Tariq Bilal
Farhan Ko Htun Aung Saw Eh-Doh Kyaw Bishnu Prakash Kenji Hiro Takeshi Kevin Jason Andrew Eric
""",
    "F": """
Mei Li Xiu Ying Yan Hui Linh Lan Hoa Huong Mai Ngoc Thuy Trang Yen Min-ji Soo Eun Hye Priya Anjali Asha
Deepa Divya Kavita Lakshmi Meera Neha Pooja Sunita Ayesha Fatima Nadia Sana Zainab Naw Paw Hser May
Thida Sita Maya Yuki Keiko Naomi Grace Jenny Amy Michelle Tiffany Christine
""",
}
_MENA_FIRST = {
    "M": """
Ahmed Mohamed Ali Omar Hassan Hussein Ibrahim Khaled Youssef Mahmoud Mustafa Tariq Samir Karim Walid
Nabil Rami Ziad Fadi Bassam Reza Amir Hamid Farid Elias George Hani Jamal Marwan Sami
""",
    "F": """
Fatima Aisha Maryam Layla Nour Amina Hana Rania Samira Yasmin Zahra Salma Dina Farah Hiba Lina Mona
Nadia Rana Sara Leila Shirin Parisa Mina Jamila Khadija Mariam Noor Reem Zeinab
""",
}


def _words(text: str) -> list[str]:
    """Names once each, in order; `_` stands for a space within a name."""
    return list(dict.fromkeys(word.replace("_", " ") for word in text.split()))


#: origin → surnames, most frequent first
SURNAMES = {
    "COMMON": _words(_COMMON),
    "EUROPEAN": _words(_EUROPEAN),
    "AFRICAN_AMERICAN": _words(_AFRICAN_AMERICAN),
    "HISPANIC": _words(_HISPANIC),
    "ASIAN": _words(_ASIAN),
    "MENA": _words(_MENA),
}
#: origin → sex → given names of that origin, used beside those of the decade
ORIGIN_FIRST_NAMES = {
    "AFRICAN_AMERICAN": {sex: _words(text) for sex, text in _AA_FIRST.items()},
    "HISPANIC": {sex: _words(text) for sex, text in _HISPANIC_FIRST.items()},
    "ASIAN": {sex: _words(text) for sex, text in _ASIAN_FIRST.items()},
    "MENA": {sex: _words(text) for sex, text in _MENA_FIRST.items()},
}

#: given name: forms that clerks and friends use instead
NICKNAMES = {
    line.split(":")[0].strip(): line.split(":")[1].split()
    for line in """
    Alexander: Alex Al
    Alexandra: Alex Sandra Lexi
    Alfred: Al Fred
    Amanda: Mandy
    Andrew: Andy Drew
    Angela: Angie
    Anthony: Tony
    Antonio: Tony
    Barbara: Barb
    Benjamin: Ben Benny
    Bradley: Brad
    Carolyn: Carol
    Catherine: Cathy Kate
    Charles: Charlie Chuck
    Christina: Chris Tina
    Christine: Chris Chrissy
    Christopher: Chris
    Clifford: Cliff
    Cynthia: Cindy
    Daniel: Dan Danny
    David: Dave
    Deborah: Deb Debbie
    Debra: Deb Debbie
    Donald: Don Donnie
    Dorothy: Dot
    Douglas: Doug
    Edward: Ed Eddie
    Elizabeth: Liz Beth Betty
    Eugene: Gene
    Francis: Frank
    Francisco: Frank Paco
    Frederick: Fred
    Gerald: Jerry
    Gregory: Greg
    Harold: Hal Harry
    Henry: Hank
    Isabella: Bella
    Jacob: Jake
    Jacqueline: Jackie
    James: Jim Jimmy Jamie
    Jeffrey: Jeff
    Jennifer: Jen Jenny
    Jessica: Jess Jessie
    John: Johnny Jack
    Jonathan: Jon John
    Joseph: Joe Joey
    José: Joe Pepe
    Joshua: Josh
    Judith: Judy
    Katherine: Kathy Kate Katie
    Kathleen: Kathy
    Kenneth: Ken Kenny
    Kimberly: Kim
    Lawrence: Larry
    Leonard: Lenny Len
    Margaret: Peggy Maggie Meg
    Matthew: Matt
    Melissa: Missy
    Michael: Mike Mikey
    Michelle: Shelly
    Miguel: Mike
    Nathan: Nate
    Nicholas: Nick
    Pamela: Pam
    Patricia: Pat Patty Trish
    Patrick: Pat
    Peter: Pete
    Phillip: Phil
    Randall: Randy
    Raymond: Ray
    Rebecca: Becky
    Richard: Rick Rich Dick
    Robert: Bob Rob Bobby
    Ronald: Ron Ronnie
    Russell: Russ
    Samantha: Sam
    Samuel: Sam Sammy
    Sandra: Sandy
    Stephanie: Steph
    Stephen: Steve
    Steven: Steve
    Susan: Sue
    Teresa: Terry
    Theodore: Ted
    Theresa: Terry
    Thomas: Tom Tommy
    Timothy: Tim
    Valerie: Val
    Victoria: Vicky Tori
    Vincent: Vinny Vince
    Virginia: Ginny
    Walter: Walt
    Wesley: Wes
    William: Bill Will Billy
    Zachary: Zach
    """.strip().splitlines()
}
